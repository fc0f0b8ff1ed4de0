# XEP-0045 7.4: a visitor of a moderated room has no voice: forbidden
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit moderated owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='owner' role='moderator'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='visitor' jid='hatter@wonderland.lit/tea'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit'><subject/></message>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='visitor' jid='hatter@wonderland.lit/tea'/></x></presence>

hatter sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>Any jam?</body></message>
hatter receives
  <message type='error' from='rabbithole@rooms.wonderland.lit' id='m1'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
alice receives nothing
