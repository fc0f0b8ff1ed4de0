# XEP-0045 7.4: who is not in the room may not speak: not-acceptable
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>Any jam?</body></message>
hatter receives
  <message type='error' from='rabbithole@rooms.wonderland.lit' id='m1'><error type='modify'>
    <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
alice receives nothing
