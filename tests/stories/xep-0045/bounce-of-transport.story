# XEP-0045 18.1.2 (design 5): recipient-unavailable and remote-server-timeout say that a path is lost, not a user: nobody is removed
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>Hello</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>Hello</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
hatter receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>Hello</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>

# What a ping has proven to have arrived by then is not sent again.
time 3s
hatter sends
  <message type='error' to='rabbithole@rooms.wonderland.lit/Alice' id='m1'><error type='cancel'>
    <recipient-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
  <message type='error' to='rabbithole@rooms.wonderland.lit/Alice' id='m1'><error type='wait'>
    <remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
hatter receives nothing
alice receives nothing

hatter sends
  <iq type='get' id='s1' to='rabbithole@rooms.wonderland.lit/Hatter'><ping xmlns='urn:xmpp:ping'/></iq>
hatter receives
  <iq type='result' id='s1' from='rabbithole@rooms.wonderland.lit/Hatter'/>
