# XEP-0045 7.4, 17.2: a chat message to the room's bare JID is bad-request, never groupchat
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <message type='chat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>hm?</body></message>
alice receives
  <message type='error' from='rabbithole@rooms.wonderland.lit' id='m1'><error type='modify'>
    <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
hatter receives nothing
