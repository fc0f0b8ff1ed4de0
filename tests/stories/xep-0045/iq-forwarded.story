# XEP-0045 17.4: a request to an occupant is passed on under occupant JIDs, and its id tells nothing
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <iq type='get' id='{ask}' to='rabbithole@rooms.wonderland.lit/Hatter'><query xmlns='jabber:iq:version'/></iq>
hatter receives
  <iq type='get' id='{passed}' from='rabbithole@rooms.wonderland.lit/Alice'><query xmlns='jabber:iq:version'/></iq>

hatter sends
  <iq type='result' id='{passed}' to='rabbithole@rooms.wonderland.lit/Alice'><query xmlns='jabber:iq:version'>
    <name>Hat</name></query></iq>
alice receives
  <iq type='result' id='{ask}' from='rabbithole@rooms.wonderland.lit/Hatter'><query xmlns='jabber:iq:version'>
    <name>Hat</name></query></iq>

alice sends
  <iq type='set' id='{again}' to='rabbithole@rooms.wonderland.lit/Hatter'><query xmlns='urn:example:unknown'/></iq>
hatter receives
  <iq type='set' id='{second}' from='rabbithole@rooms.wonderland.lit/Alice'><query xmlns='urn:example:unknown'/></iq>

hatter sends
  <iq type='error' id='{second}' to='rabbithole@rooms.wonderland.lit/Alice'><error type='cancel'>
    <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
alice receives
  <iq type='error' id='{again}' from='rabbithole@rooms.wonderland.lit/Hatter'><error type='cancel'>
    <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
