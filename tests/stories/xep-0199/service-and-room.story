# XEP-0199 4.2: the service and its rooms answer pings
level core node real
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit

alice sends
  <iq type='get' id='p1' to='rooms.wonderland.lit'><ping xmlns='urn:xmpp:ping'/></iq>
alice receives
  <iq type='result' id='p1' from='rooms.wonderland.lit'/>

alice sends
  <iq type='get' id='p2' to='rabbithole@rooms.wonderland.lit'><ping xmlns='urn:xmpp:ping'/></iq>
alice receives
  <iq type='result' id='p2' from='rabbithole@rooms.wonderland.lit'/>
