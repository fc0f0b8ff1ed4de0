# XEP-0289 5.2, listing 6: a user on one node speaks, users on both nodes hear it
level core node real
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit      uplink elsinore -> rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
hamlet sends
  <message type='groupchat' to='elsinore@talk.denmark.lit' id='m1'><body>To be</body></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hamlet' id='m1'><body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>
denmark sends wonderland
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit' id='m1'>
    <body>To be</body>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet' id='m1'><body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
wonderland sends nothing
