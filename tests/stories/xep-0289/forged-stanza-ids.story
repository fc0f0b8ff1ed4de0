# XEP-0289 7 (fmuc.md 6.8): stanza-ids that a client forges for a node of the set are stripped
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit      uplink elsinore -> rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
hamlet sends
  <message type='groupchat' to='elsinore@talk.denmark.lit' id='m1'><body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='forged'/></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hamlet' id='m1'><body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>
denmark sends wonderland
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hamlet' to='rabbithole@rooms.wonderland.lit' id='m1'>
    <body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet' id='m1'><body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>

alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m2'><body>Not to be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m2'><body>Not to be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/></message>
wonderland sends denmark
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' to='elsinore@talk.denmark.lit' id='m2'>
    <body>Not to be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Alice' id='m2'><body>Not to be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{two}'/></message>
