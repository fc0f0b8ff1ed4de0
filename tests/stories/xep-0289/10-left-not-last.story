# XEP-0289 5.4: while anybody is left on the joining node, the link stays
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit
room rabbithole@rooms.wonderland.lit anonymity=NonAnonymous owner=alice@wonderland.lit
room elsinore@talk.denmark.lit anonymity=NonAnonymous uplink=rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle
user ophelia ophelia@denmark.lit/river

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
ophelia joins elsinore@talk.denmark.lit as Ophelia
hamlet sends
  <presence type='unavailable' to='elsinore@talk.denmark.lit/Hamlet'/>
hamlet receives
  <presence type='unavailable' from='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none' jid='hamlet@denmark.lit/castle'/><status code='110'/></x></presence>
ophelia receives
  <presence type='unavailable' from='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none' jid='hamlet@denmark.lit/castle'/></x></presence>
denmark sends wonderland
  <presence type='unavailable' from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit/Hamlet'>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none' jid='hamlet@denmark.lit/castle'/></x>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/></presence>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hamlet'>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none' jid='hamlet@denmark.lit/castle'/></x></presence>
wonderland sends nothing
