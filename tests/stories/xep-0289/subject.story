# XEP-0289 5.2: a subject travels like a message
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit
room elsinore@talk.denmark.lit uplink=rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='s1'><subject>The castle</subject></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='s1'><subject>The castle</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
wonderland sends denmark
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' to='elsinore@talk.denmark.lit' id='s1'>
    <subject>The castle</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Alice' id='s1'><subject>The castle</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>
denmark sends nothing
