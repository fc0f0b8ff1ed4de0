# XEP-0045 11.2 (design 7): a crash and a restart change nothing: nobody leaves, history is there
level core
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user dormouse dormouse@wonderland.lit/teapot

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>Hello</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>Hello</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
hatter receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>Hello</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>

crash wonderland
restart wonderland
alice receives nothing
hatter receives nothing

hatter sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m2'><body>What was that?</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' id='m2'><body>What was that?</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/></message>
hatter receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' id='m2'><body>What was that?</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/></message>

dormouse sends
  <presence to='rabbithole@rooms.wonderland.lit/Dormouse'><x xmlns='http://jabber.org/protocol/muc'/></presence>
dormouse receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='owner' role='moderator'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Dormouse'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='dormouse@wonderland.lit/teapot'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>Hello</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t1}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' id='m2'><body>What was that?</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{t2}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit'><subject/></message>
swallow
