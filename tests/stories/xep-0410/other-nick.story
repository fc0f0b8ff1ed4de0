# XEP-0410 3.2: a ping of somebody else's nick is that occupant's to answer
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <iq type='get' id='{ask}' to='rabbithole@rooms.wonderland.lit/Hatter'><ping xmlns='urn:xmpp:ping'/></iq>
hatter receives
  <iq type='get' id='{passed}' from='rabbithole@rooms.wonderland.lit/Alice'><ping xmlns='urn:xmpp:ping'/></iq>

hatter sends
  <iq type='result' id='{passed}' to='rabbithole@rooms.wonderland.lit/Alice'/>
alice receives
  <iq type='result' id='{ask}' from='rabbithole@rooms.wonderland.lit/Hatter'/>
