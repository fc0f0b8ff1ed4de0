# XEP-0045 7.6: a nick change to a taken nick is a conflict, the old nick stays
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Alice' id='n1'/>
hatter receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit/Alice' id='n1'><error type='cancel'>
    <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>
alice receives nothing

hatter sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>still me</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' id='m1'><body>still me</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
hatter receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' id='m1'><body>still me</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
