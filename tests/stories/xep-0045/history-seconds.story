# XEP-0045 7.2.14: seconds: only what was said in the last so many
level core
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>1</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>1</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>

time 100s
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m2'><body>2</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m2'><body>2</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/></message>

time 10s
hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc'>
    <history seconds='50'/></x></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m2'><body>2</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t2}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit'><subject/></message>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
