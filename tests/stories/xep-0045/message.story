# XEP-0045 7.4: a message goes to everybody, its sender too, with the sender's id and the room's stanza-id
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>Who are you?</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>Who are you?</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{alice}'/></message>
hatter receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>Who are you?</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{alice}'/></message>

hatter sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m2'><body>I hardly know</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' id='m2'><body>I hardly know</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/>
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{hatter}'/></message>
hatter receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' id='m2'><body>I hardly know</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/>
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{hatter}'/></message>
