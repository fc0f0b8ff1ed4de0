# XEP-0045 7.2.13: history is from the nick that its author had then; private messages are no part of it
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user dormouse dormouse@wonderland.lit/teapot

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
hatter sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>I was the Hatter</body></message>
  <message type='chat' to='rabbithole@rooms.wonderland.lit/Alice' id='p1'><body>psst</body></message>
swallow

hatter leaves rabbithole@rooms.wonderland.lit
alice leaves rabbithole@rooms.wonderland.lit
dormouse sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc'/></presence>
dormouse receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='dormouse@wonderland.lit/teapot'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' id='m1'><body>I was the Hatter</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{sent}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit'><subject/></message>
