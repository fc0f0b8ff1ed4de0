# XEP-0045 18.1.2 (design 5): a private message that comes back is its author's problem: nobody is removed
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <message type='chat' to='rabbithole@rooms.wonderland.lit/Hatter' id='p1'><body>psst</body></message>
hatter receives
  <message type='chat' from='rabbithole@rooms.wonderland.lit/Alice' id='p1'><body>psst</body>
    <x xmlns='http://jabber.org/protocol/muc#user'/></message>

hatter sends
  <message type='error' to='rabbithole@rooms.wonderland.lit/Alice' id='p1'><error type='cancel'>
    <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
alice receives
  <message type='error' from='rabbithole@rooms.wonderland.lit/Hatter' id='p1'><error type='cancel'>
    <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
hatter receives nothing

hatter sends
  <iq type='get' id='s1' to='rabbithole@rooms.wonderland.lit/Hatter'><ping xmlns='urn:xmpp:ping'/></iq>
hatter receives
  <iq type='result' id='s1' from='rabbithole@rooms.wonderland.lit/Hatter'/>
