# XEP-0289 2, 8 (fmuc.md 6.3): lost for longer than the grace: remote occupants leave once, with 333, and come back once
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

alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m2'><body>Curiouser</body></message>
swallow

time 10m
hamlet receives
  <presence type='unavailable' from='elsinore@talk.denmark.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none'/><status code='333'/></x></presence>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hamlet'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/><status code='333'/></x></presence>

heal wonderland denmark
time 10m
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet' id='m1'><body>To be</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t1}'/>
    <delay xmlns='urn:xmpp:delay' from='elsinore@talk.denmark.lit' stamp='{t1}'/></message>
hamlet receives
  <presence from='elsinore@talk.denmark.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
  <message type='groupchat' from='elsinore@talk.denmark.lit/Alice' id='m2'><body>Curiouser</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{two}'/>
    <delay xmlns='urn:xmpp:delay' from='elsinore@talk.denmark.lit' stamp='{t2}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t2}'/></message>
