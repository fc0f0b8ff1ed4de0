# XEP-0045 7.4: a message without an id gets one, the same in all copies
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit'><body>no name</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='{made}'><body>no name</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
hatter receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='{made}'><body>no name</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
