# XEP-0289 2, 8 (fmuc.md 6.10): the path between two sites is lost: life goes on at both; when it is back, each hears what it missed, once
level core
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit      uplink elsinore -> rabbithole@rooms.wonderland.lit
unwatched wonderland denmark
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
cut wonderland denmark
hamlet sends
  <message type='groupchat' to='elsinore@talk.denmark.lit' id='m1'><body>To be</body></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hamlet' id='m1'><body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>

alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m2'><body>Curiouser</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m2'><body>Curiouser</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/></message>

time 20s
hamlet receives nothing
alice receives nothing

heal wonderland denmark
time 60s
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet' id='m1'><body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t1}'/>
    <delay xmlns='urn:xmpp:delay' from='elsinore@talk.denmark.lit' stamp='{t1}'/></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Alice' id='m2'><body>Curiouser</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{two}'/>
    <delay xmlns='urn:xmpp:delay' from='elsinore@talk.denmark.lit' stamp='{t2}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t2}'/></message>

hamlet sends
  <message type='groupchat' to='elsinore@talk.denmark.lit' id='m3'><body>or not</body></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hamlet' id='m3'><body>or not</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{three}'/></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet' id='m3'><body>or not</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{three}'/></message>
