# XEP-0289 5.3: show and status travel like joins, without a join element
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit      uplink elsinore -> rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
hamlet sends
  <presence to='elsinore@talk.denmark.lit/Hamlet'><show>away</show><status>At sea</status></presence>
hamlet receives
  <presence from='elsinore@talk.denmark.lit/Hamlet'><show>away</show><status>At sea</status>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/><status code='110'/></x></presence>
denmark sends wonderland
  <presence from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit/Hamlet'><show>away</show>
    <status>At sea</status>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/></presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet'><show>away</show><status>At sea</status>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
wonderland sends nothing
