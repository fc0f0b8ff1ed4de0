# XEP-0045 8.1: an empty subject clears it; a subject with a body is an ordinary message
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='s1'><subject>Tea</subject></message>
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><subject>Jam</subject>
    <body>tomorrow</body></message>
swallow

hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc'>
    <history maxstanzas='0'/></x></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='owner' role='moderator'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice'><subject>Tea</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{set}'/></message>

alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='s2'><subject/></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='s2'><subject/>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/></message>
hatter receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='s2'><subject/>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/></message>

hatter sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m2'><subject>I may not</subject>
    <body>but this is a message</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' id='m2'><subject>I may not</subject>
    <body>but this is a message</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{three}'/></message>
hatter receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' id='m2'><subject>I may not</subject>
    <body>but this is a message</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{three}'/></message>
