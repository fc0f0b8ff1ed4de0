# XEP-0289 5.5: a moderator of one node kicks a user of another: that node kicks him and says so
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
alice sends
  <iq type='set' id='k1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Hamlet' role='none'><reason>Mad</reason></item></query></iq>
alice receives
  <iq type='result' id='k1' from='rabbithole@rooms.wonderland.lit'/>
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hamlet'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hamlet@denmark.lit/castle'>
    <actor nick='Alice'/><reason>Mad</reason></item><status code='307'/></x></presence>
wonderland sends denmark
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hamlet' to='elsinore@talk.denmark.lit/Hamlet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hamlet@denmark.lit/castle'>
    <actor nick='Alice'/><reason>Mad</reason></item><status code='307'/></x></presence>
hamlet receives
  <presence type='unavailable' from='elsinore@talk.denmark.lit/Hamlet'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hamlet@denmark.lit/castle'>
    <actor nick='Alice'/><reason>Mad</reason></item><status code='110'/><status code='307'/></x></presence>
ophelia receives
  <presence type='unavailable' from='elsinore@talk.denmark.lit/Hamlet'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hamlet@denmark.lit/castle'>
    <actor nick='Alice'/><reason>Mad</reason></item><status code='307'/></x></presence>
denmark sends wonderland
  <presence type='unavailable' from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit/Hamlet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hamlet@denmark.lit/castle'>
    <actor nick='Alice'/><reason>Mad</reason></item><status code='307'/></x></presence>
alice receives nothing
