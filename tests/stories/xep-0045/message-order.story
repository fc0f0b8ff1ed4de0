# XEP-0045 7.4: everybody sees the same order
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>1</body></message>
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m2'><body>2</body></message>
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m3'><body>3</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>1</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m2'><body>2</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m3'><body>3</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{three}'/></message>
hatter receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>1</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m2'><body>2</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m3'><body>3</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{three}'/></message>
