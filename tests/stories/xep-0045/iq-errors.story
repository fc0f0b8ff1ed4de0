# XEP-0045 17.4: requests to nobody, from outside, and to the room in a language it does not speak; answers are never answered
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
alice sends
  <iq type='get' id='q1' to='rabbithole@rooms.wonderland.lit/Hatter'><query xmlns='jabber:iq:version'/></iq>
alice receives
  <iq type='error' id='q1' from='rabbithole@rooms.wonderland.lit/Hatter'><error type='cancel'>
    <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

hatter sends
  <iq type='get' id='q2' to='rabbithole@rooms.wonderland.lit/Alice'><query xmlns='jabber:iq:version'/></iq>
hatter receives
  <iq type='error' id='q2' from='rabbithole@rooms.wonderland.lit/Alice'><error type='cancel'>
    <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

alice sends
  <iq type='get' id='q3' to='rabbithole@rooms.wonderland.lit'><query xmlns='urn:example:unknown'/></iq>
alice receives
  <iq type='error' id='q3' from='rabbithole@rooms.wonderland.lit'><error type='cancel'>
    <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

alice sends
  <iq type='result' id='q4' to='rabbithole@rooms.wonderland.lit'/>
  <iq type='error' id='q5' to='rabbithole@rooms.wonderland.lit'><error type='cancel'>
    <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
  <iq type='result' id='q6' to='rabbithole@rooms.wonderland.lit/Alice'/>
alice receives nothing
