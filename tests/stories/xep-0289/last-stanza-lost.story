# XEP-0289 8 (fmuc.md 6.3): the last stanza of a burst is lost on the way: silence shows it, it comes once
level core
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit      uplink elsinore -> rabbithole@rooms.wonderland.lit
unwatched wonderland denmark
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
lose next denmark wonderland
hamlet sends
  <message type='groupchat' to='elsinore@talk.denmark.lit' id='m1'><body>To be</body></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hamlet' id='m1'><body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>
alice receives nothing

time 60s
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet' id='m1'><body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t1}'/>
    <delay xmlns='urn:xmpp:delay' from='elsinore@talk.denmark.lit' stamp='{t1}'/></message>
hamlet receives nothing
