# XEP-0045 7.5: private messages to nobody, from outside, and of type groupchat
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
alice sends
  <message type='chat' to='rabbithole@rooms.wonderland.lit/Hatter' id='p1'><body>are you there?</body></message>
alice receives
  <message type='error' from='rabbithole@rooms.wonderland.lit/Hatter' id='p1'><error type='cancel'>
    <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>

alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit/Alice' id='p2'><body>me</body></message>
alice receives
  <message type='error' from='rabbithole@rooms.wonderland.lit/Alice' id='p2'><error type='modify'>
    <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>

hatter sends
  <message type='chat' to='rabbithole@rooms.wonderland.lit/Alice' id='p3'><body>from outside</body></message>
hatter receives
  <message type='error' from='rabbithole@rooms.wonderland.lit/Alice' id='p3'><error type='modify'>
    <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
alice receives nothing
