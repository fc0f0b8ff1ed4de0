# XEP-0045 7.2.5: no password or a wrong one is not-authorized; the right one is never shown
level core node real
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit password=jam
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice password=jam
hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter' id='j1'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hatter receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit/Hatter' id='j1'><error type='auth'>
    <not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>

hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter' id='j2'><x xmlns='http://jabber.org/protocol/muc'>
    <password>butter</password></x></presence>
hatter receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit/Hatter' id='j2'><error type='auth'>
    <not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>

hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter' id='j3'><x xmlns='http://jabber.org/protocol/muc'>
    <password>jam</password></x></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit'><subject/></message>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
