# XEP-0359 3: a stanza-id that claims to be the room's is replaced; the client's origin-id stays
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit

alice joins rabbithole@rooms.wonderland.lit as Alice
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>Hello</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='forged'/>
    <origin-id xmlns='urn:xmpp:sid:0' id='o1'/></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>Hello</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <origin-id xmlns='urn:xmpp:sid:0' id='o1'/></message>

alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m2'><body>Hello again</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m2'><body>Hello again</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/></message>
