# XEP-0289 5.1, listings 1, 2: the first user of a node makes it join the node that it is configured to; nobody waits
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit
room rabbithole@rooms.wonderland.lit anonymity=NonAnonymous owner=alice@wonderland.lit
room elsinore@talk.denmark.lit anonymity=NonAnonymous uplink=rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle

hamlet sends
  <presence to='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hamlet receives
  <presence from='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/><status code='100'/>
    <status code='110'/></x></presence>
  <message type='groupchat' from='elsinore@talk.denmark.lit'><subject/></message>
denmark sends wonderland
  <presence from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit/Hamlet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <x xmlns='http://jabber.org/protocol/muc'/><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/></x></presence>
wonderland sends denmark
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet' to='elsinore@talk.denmark.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit' to='elsinore@talk.denmark.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='rabbithole@rooms.wonderland.lit'/><subject/></message>
hamlet receives nothing
