# XEP-0289 5.1 (fmuc.md 6.3): the node to join cannot be reached: users here notice nothing
site wonderland rooms.wonderland.lit uplink rabbithole -> tower@rooms.verona.lit
peer tower tower@rooms.verona.lit
user alice alice@wonderland.lit/rabbit

alice joins rabbithole@rooms.wonderland.lit as Alice
tower sends
  <presence type='error' from='tower@rooms.verona.lit/Alice' to='rabbithole@rooms.wonderland.lit/Alice'>
    <error type='cancel'><remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>
alice receives nothing

alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>Alone</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>Alone</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
tower receives nothing
