# XEP-0045 8.1: a new subject goes to everybody and to whoever comes later, from its setter, with its time
level core node real
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user dormouse dormouse@wonderland.lit/teapot

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='s1'><subject>Fire burn</subject></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='s1'><subject>Fire burn</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
hatter receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='s1'><subject>Fire burn</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>

alice leaves rabbithole@rooms.wonderland.lit
dormouse sends
  <presence to='rabbithole@rooms.wonderland.lit/Dormouse'><x xmlns='http://jabber.org/protocol/muc'/></presence>
dormouse receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Dormouse'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='dormouse@wonderland.lit/teapot'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice'><subject>Fire burn</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{set}'/></message>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Dormouse'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
