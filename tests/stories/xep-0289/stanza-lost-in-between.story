# XEP-0289 8 (fmuc.md 6.10): a stanza is lost and another follows: the gap is seen, both come once and in order
level core
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit      uplink elsinore -> rabbithole@rooms.wonderland.lit
unwatched wonderland denmark
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
lose next wonderland denmark
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>Who</body></message>
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m2'><body>are you?</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>Who</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m2'><body>are you?</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Alice' id='m1'><body>Who</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/>
    <delay xmlns='urn:xmpp:delay' from='elsinore@talk.denmark.lit' stamp='{t1}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t1}'/></message>
  <message type='groupchat' from='elsinore@talk.denmark.lit/Alice' id='m2'><body>are you?</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{two}'/>
    <delay xmlns='urn:xmpp:delay' from='elsinore@talk.denmark.lit' stamp='{t2}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t2}'/></message>

time 60s
alice receives nothing
hamlet receives nothing
