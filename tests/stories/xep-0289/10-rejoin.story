# XEP-0289 5.1, 5.4: after left, the next user joins again: what was said meanwhile comes once, what was known does not come twice
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit      uplink elsinore -> rabbithole@rooms.wonderland.lit
unwatched wonderland denmark
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>before</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>before</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Alice' id='m1'><body>before</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>

hamlet leaves elsinore@talk.denmark.lit
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m2'><body>meanwhile</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m2'><body>meanwhile</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/></message>
hamlet receives nothing

hamlet sends
  <presence to='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hamlet receives
  <presence from='elsinore@talk.denmark.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hamlet@denmark.lit/castle'/><status code='110'/></x></presence>
  <message type='groupchat' from='elsinore@talk.denmark.lit/Alice' id='m1'><body>before</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/>
    <delay xmlns='urn:xmpp:delay' from='elsinore@talk.denmark.lit' stamp='{t1}'/></message>
  <message type='groupchat' from='elsinore@talk.denmark.lit'><subject/></message>
  <presence from='elsinore@talk.denmark.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
  <message type='groupchat' from='elsinore@talk.denmark.lit/Alice' id='m2'><body>meanwhile</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{two}'/>
    <delay xmlns='urn:xmpp:delay' from='elsinore@talk.denmark.lit' stamp='{t2}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t2}'/></message>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
