//! "Did you mean …".

/// The candidate that is most like `given`, if one is like it at all: at most a third of the letters differ.
pub(crate) fn closest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (given.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|c| (distance(&given.to_lowercase(), &c.to_lowercase()), c))
        .filter(|(d, _)| *d <= bound)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// Letters to insert, delete, replace or swap with their neighbour (Damerau and Levenshtein, restricted).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_words_are_found_and_unlikely_ones_are_not() {
        let fields = ["uplink", "downlinks", "jidExposure", "collision"];
        assert_eq!(closest("uplnk", fields), Some("uplink"));
        assert_eq!(closest("upilnk", fields), Some("uplink"));
        assert_eq!(closest("jidexposure", fields), Some("jidExposure"));
        assert_eq!(closest("downlink", fields), Some("downlinks"));
        assert_eq!(closest("required", fields), None);
        assert_eq!(closest("", fields), None);
    }
}
