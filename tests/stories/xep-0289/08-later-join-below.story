# XEP-0289 5.3: somebody joins the joining node later; every join upwards carries the join element
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit
room rabbithole@rooms.wonderland.lit anonymity=NonAnonymous owner=alice@wonderland.lit
room elsinore@talk.denmark.lit anonymity=NonAnonymous uplink=rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle
user ophelia ophelia@denmark.lit/river

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
ophelia sends
  <presence to='elsinore@talk.denmark.lit/Ophelia'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hamlet receives
  <presence from='elsinore@talk.denmark.lit/Ophelia'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='ophelia@denmark.lit/river'/></x></presence>
ophelia receives
  <presence from='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/></x></presence>
  <presence from='elsinore@talk.denmark.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='owner' role='moderator' jid='alice@wonderland.lit/rabbit'/></x></presence>
  <presence from='elsinore@talk.denmark.lit/Ophelia'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='ophelia@denmark.lit/river'/><status code='110'/>
    <status code='100'/></x></presence>
  <message type='groupchat' from='elsinore@talk.denmark.lit'><subject/></message>
denmark sends wonderland
  <presence from='elsinore@talk.denmark.lit/Ophelia' to='rabbithole@rooms.wonderland.lit/Ophelia'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='ophelia@denmark.lit/river'/>
    <x xmlns='http://jabber.org/protocol/muc'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='ophelia@denmark.lit/river'/></x></presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Ophelia'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='ophelia@denmark.lit/river'/></x></presence>
wonderland sends nothing
