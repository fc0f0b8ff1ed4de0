# XEP-0289 5.4, listing 10: the last user of the joining node leaves: the joined node says left and sends nothing more
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit
room rabbithole@rooms.wonderland.lit anonymity=NonAnonymous owner=alice@wonderland.lit
room elsinore@talk.denmark.lit anonymity=NonAnonymous uplink=rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
hamlet sends
  <presence type='unavailable' to='elsinore@talk.denmark.lit/Hamlet'/>
hamlet receives
  <presence type='unavailable' from='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none' jid='hamlet@denmark.lit/castle'/><status code='110'/></x></presence>
denmark sends wonderland
  <presence type='unavailable' from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit/Hamlet'>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none' jid='hamlet@denmark.lit/castle'/></x>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/></presence>
wonderland sends denmark
  <presence from='rabbithole@rooms.wonderland.lit' to='elsinore@talk.denmark.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc'><left/></fmuc></presence>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hamlet'>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none' jid='hamlet@denmark.lit/castle'/></x></presence>

alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>Alone again</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>Alone again</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
wonderland sends nothing
