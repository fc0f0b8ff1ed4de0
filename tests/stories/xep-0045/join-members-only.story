# XEP-0045 7.2.6: a members-only room lets members in, nobody else
level core node real
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit members-only member=hatter@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice sends
  <presence to='rabbithole@rooms.wonderland.lit/Alice' id='j1'><x xmlns='http://jabber.org/protocol/muc'/></presence>
alice receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit/Alice' id='j1'><error type='auth'>
    <registration-required xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>

hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='member' role='participant' jid='hatter@wonderland.lit/tea'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit'><subject/></message>
