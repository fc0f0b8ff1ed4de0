# XEP-0289 5.1: between semi-anonymous rooms only the fmuc element tells who somebody is; moderators see it, others do not
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit
room elsinore@talk.denmark.lit uplink=rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
hamlet sends
  <presence to='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc'/></presence>
denmark sends wonderland
  <presence from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit/Hamlet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <x xmlns='http://jabber.org/protocol/muc'/><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
wonderland sends denmark
  <presence from='rabbithole@rooms.wonderland.lit/Alice' to='elsinore@talk.denmark.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter' to='elsinore@talk.denmark.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hatter@wonderland.lit/tea'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet' to='elsinore@talk.denmark.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit' to='elsinore@talk.denmark.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='rabbithole@rooms.wonderland.lit'/><subject/></message>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/></x></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
hamlet receives
  <presence from='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/><status code='110'/></x></presence>
  <message type='groupchat' from='elsinore@talk.denmark.lit'><subject/></message>
  <presence from='elsinore@talk.denmark.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='owner' role='moderator'/></x></presence>
  <presence from='elsinore@talk.denmark.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
