# XEP-0045 7.5: a private message between two occupants
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user dormouse dormouse@wonderland.lit/teapot

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
dormouse joins rabbithole@rooms.wonderland.lit as Dormouse
alice sends
  <message type='chat' to='rabbithole@rooms.wonderland.lit/Hatter' id='p1'><body>psst</body></message>
hatter receives
  <message type='chat' from='rabbithole@rooms.wonderland.lit/Alice' id='p1'><body>psst</body>
    <x xmlns='http://jabber.org/protocol/muc#user'/></message>
dormouse receives nothing
