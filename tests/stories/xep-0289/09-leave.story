# XEP-0289 5.4, listing 9: somebody leaves the joined node
level core node real
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit
room rabbithole@rooms.wonderland.lit anonymity=NonAnonymous owner=alice@wonderland.lit
room elsinore@talk.denmark.lit anonymity=NonAnonymous uplink=rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
hatter joins rabbithole@rooms.wonderland.lit as Hatter
hatter sends
  <presence type='unavailable' to='rabbithole@rooms.wonderland.lit/Hatter'/>
hatter receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hatter@wonderland.lit/tea'/>
    <status code='110'/></x></presence>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none' jid='hatter@wonderland.lit/tea'/></x></presence>
wonderland sends denmark
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter' to='elsinore@talk.denmark.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none' jid='hatter@wonderland.lit/tea'/></x>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hatter@wonderland.lit/tea'/></presence>
hamlet receives
  <presence type='unavailable' from='elsinore@talk.denmark.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none' jid='hatter@wonderland.lit/tea'/></x></presence>
denmark sends nothing
