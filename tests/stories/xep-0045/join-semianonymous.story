# XEP-0045 7.2.4: in a semi-anonymous room only moderators see full JIDs; own presence shows one's own
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user dormouse dormouse@wonderland.lit/teapot

hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <presence to='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc'/></presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='owner' role='moderator' jid='alice@wonderland.lit/rabbit'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit'><subject/></message>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='owner' role='moderator'/></x></presence>

dormouse sends
  <presence to='rabbithole@rooms.wonderland.lit/Dormouse'><x xmlns='http://jabber.org/protocol/muc'/></presence>
dormouse receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='owner' role='moderator'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Dormouse'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='dormouse@wonderland.lit/teapot'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit'><subject/></message>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Dormouse'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Dormouse'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='dormouse@wonderland.lit/teapot'/></x></presence>
