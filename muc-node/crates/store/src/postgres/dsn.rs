//! Connection strings: what libpq takes and the client library does not know.
//!
//! The library reads keywords (`host=db user=warren`) and URLs (`postgresql://warren@db/warren`) and everything in
//! them but certificates. Those parameters are taken out here, with libpq's names and meaning.

use std::path::PathBuf;

/// How much of TLS is asked for (`sslmode`), weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// Never.
    Disable,
    /// If the server has it; certificates are not checked.
    #[default]
    Prefer,
    /// Always; certificates are not checked, unless a root certificate is named.
    Require,
    /// Always; the certificate must lead to the root certificate.
    VerifyCa,
    /// As before, and it must be for the host's name.
    VerifyFull,
}

/// What TLS needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssl {
    /// `sslmode`
    pub mode: SslMode,
    /// `sslrootcert`: PEM.
    pub root: Option<PathBuf>,
    /// `sslcert`: PEM, ours.
    pub cert: Option<PathBuf>,
    /// `sslkey`: PEM.
    pub key: Option<PathBuf>,
}

/// Takes the parameters of TLS out of a connection string and returns the rest of it.
pub fn split(dsn: &str) -> Result<(String, Ssl), String> {
    let mut ssl = Ssl::default();
    let rest = if dsn.starts_with("postgres://") || dsn.starts_with("postgresql://") {
        let (before, query) = dsn.split_once('?').unwrap_or((dsn, ""));
        let mut kept = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| format!("its parameter {pair:?} has no value"))?;
            if !ssl.take(name, &decoded(value)?)? {
                kept.push(pair);
            }
        }
        if kept.is_empty() { before.to_owned() } else { format!("{before}?{}", kept.join("&")) }
    } else {
        let mut kept = String::new();
        for (name, value) in keywords(dsn)? {
            if !ssl.take(&name, &value)? {
                let value = value.replace('\\', "\\\\").replace('\'', "\\'");
                kept.extend([name.as_str(), "='", &value, "' "]);
            }
        }
        kept
    };
    if ssl.mode >= SslMode::VerifyCa && ssl.root.is_none() {
        return Err("a certificate can only be verified with a root: add sslrootcert=FILE".to_owned());
    }
    if ssl.mode == SslMode::Require && ssl.root.is_some() {
        // As libpq has it, for configurations that are older than verify-ca.
        ssl.mode = SslMode::VerifyCa;
    }
    if ssl.cert.is_some() != ssl.key.is_some() {
        return Err("sslcert and sslkey belong together: give both or none".to_owned());
    }
    Ok((rest, ssl))
}

impl Ssl {
    /// Whether the parameter is one of TLS.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "sslmode" => {
                self.mode = match value {
                    "disable" => SslMode::Disable,
                    "prefer" => SslMode::Prefer,
                    "require" => SslMode::Require,
                    "verify-ca" => SslMode::VerifyCa,
                    "verify-full" => SslMode::VerifyFull,
                    other => {
                        return Err(format!(
                            "sslmode={other} is none of disable, prefer, require, verify-ca, verify-full"
                        ));
                    }
                }
            }
            "sslrootcert" => self.root = Some(PathBuf::from(value)),
            "sslcert" => self.cert = Some(PathBuf::from(value)),
            "sslkey" => self.key = Some(PathBuf::from(value)),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Undoes %-encoding.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
            let (high, low) = (digit(), digit());
            high.zip(low)
                .and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
                .ok_or_else(|| format!("{text:?} has a % without two digits"))?
        } else {
            byte
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| format!("{text:?} is not UTF-8"))
}

/// `name = value`, where a value may stand in quotes and `\` takes the next character as it is.
fn keywords(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.peek().is_none() {
            return Ok(found);
        }
        let mut name = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && !c.is_whitespace()) {
            name.push(c);
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.next() != Some('=') {
            // The text itself may hold a password.
            return Err(format!("after {name:?} a = is missing (a URL begins with postgresql://)"));
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = rest.next_if(|c| *c == '\'').is_some();
        let mut value = String::new();
        loop {
            match rest.next() {
                None if quoted => return Err(format!("the value of {name} has no closing quote")),
                None => break,
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some('\\') => value.extend(rest.next()),
                Some(c) => value.push(c),
            }
        }
        found.push((name, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_tls_are_taken_out_of_both_forms() {
        let (rest, ssl) =
            split("postgresql://u:p%40@h:5/db?sslmode=verify-full&connect_timeout=3&sslrootcert=%2Fca%20x.pem")
                .unwrap();
        assert_eq!(rest, "postgresql://u:p%40@h:5/db?connect_timeout=3");
        assert_eq!((ssl.mode, ssl.root), (SslMode::VerifyFull, Some(PathBuf::from("/ca x.pem"))));
        let (rest, ssl) = split(r"host = h  password='a \' b' sslmode=require sslcert=c sslkey=k user=u\ v").unwrap();
        assert_eq!(rest, r"host='h' password='a \' b' user='u v' ");
        assert_eq!((ssl.mode, ssl.root, ssl.key), (SslMode::Require, None, Some(PathBuf::from("k"))));
        assert_eq!(split("postgres://h/db").unwrap(), ("postgres://h/db".to_owned(), Ssl::default()));
        assert_eq!(split("sslmode=require sslrootcert=x").unwrap().1.mode, SslMode::VerifyCa, "as libpq has it");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (dsn, why) in [
            ("host=h sslmode=allow", "sslmode=allow is none of"),
            ("host=h sslmode=verify-full", "add sslrootcert=FILE"),
            ("postgres://h/?sslcert=c", "belong together"),
            ("postgres://h/?sslcert=%4", "% without two digits"),
            ("host=h password='x", "no closing quote"),
            ("warren", "after \"warren\" a = is missing"),
        ] {
            let error = split(dsn).unwrap_err();
            assert!(error.contains(why), "{dsn}: {error}");
        }
    }
}
