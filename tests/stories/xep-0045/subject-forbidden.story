# XEP-0045 8.1: participants may not set the subject unless the room says so
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit
room den@rooms.wonderland.lit participants-set-subject
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
hatter sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='s1'><subject>Tea</subject></message>
hatter receives
  <message type='error' from='rabbithole@rooms.wonderland.lit' id='s1'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
alice receives nothing

hatter joins den@rooms.wonderland.lit as Hatter
hatter sends
  <message type='groupchat' to='den@rooms.wonderland.lit' id='s2'><subject>Tea</subject></message>
hatter receives
  <message type='groupchat' from='den@rooms.wonderland.lit/Hatter' id='s2'><subject>Tea</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='den@rooms.wonderland.lit' id='{one}'/></message>
