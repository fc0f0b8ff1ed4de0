# XEP-0289 5.3 (fmuc.md 6.5): the only user of a node changes his nick: both nodes show a change of nick, the link stays
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit      uplink elsinore -> rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
hamlet sends
  <presence to='elsinore@talk.denmark.lit/Yorick'/>
hamlet receives
  <presence type='unavailable' from='elsinore@talk.denmark.lit/Hamlet'>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' nick='Yorick' jid='hamlet@denmark.lit/castle'/><status code='303'/>
    <status code='110'/></x></presence>
  <presence from='elsinore@talk.denmark.lit/Yorick'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/><status code='110'/></x></presence>
denmark sends wonderland
  <presence type='unavailable' from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit/Hamlet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant' nick='Yorick'/>
    <status code='303'/></x></presence>
  <presence from='elsinore@talk.denmark.lit/Yorick' to='rabbithole@rooms.wonderland.lit/Yorick'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <x xmlns='http://jabber.org/protocol/muc'/><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hamlet'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant' nick='Yorick'/>
    <status code='303'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Yorick'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
wonderland sends nothing
