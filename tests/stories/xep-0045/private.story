# XEP-0045 7.5: a private message goes to all sessions of one occupant and to nobody else
level core node
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user hare hatter@wonderland.lit/hare
user dormouse dormouse@wonderland.lit/teapot

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
dormouse joins rabbithole@rooms.wonderland.lit as Dormouse
hare joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <message type='chat' to='rabbithole@rooms.wonderland.lit/Hatter' id='p1'><body>psst</body></message>
hatter receives
  <message type='chat' from='rabbithole@rooms.wonderland.lit/Alice' id='p1'><body>psst</body>
    <x xmlns='http://jabber.org/protocol/muc#user'/></message>
hare receives
  <message type='chat' from='rabbithole@rooms.wonderland.lit/Alice' id='p1'><body>psst</body>
    <x xmlns='http://jabber.org/protocol/muc#user'/></message>
alice receives nothing
dormouse receives nothing

hatter sends
  <message type='chat' to='rabbithole@rooms.wonderland.lit/Alice' id='p2'><body>what?</body>
    <x xmlns='http://jabber.org/protocol/muc#user'/></message>
alice receives
  <message type='chat' from='rabbithole@rooms.wonderland.lit/Hatter' id='p2'><body>what?</body>
    <x xmlns='http://jabber.org/protocol/muc#user'/></message>
