# XEP-0045 10.9: an owner destroys the room: everybody is told once and where to go, then the answer
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
hatter sends
  <iq type='set' id='x1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#owner'>
    <destroy/></query></iq>
hatter receives
  <iq type='error' id='x1' from='rabbithole@rooms.wonderland.lit'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

alice sends
  <iq type='set' id='x2' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#owner'>
    <destroy jid='den@rooms.wonderland.lit'><reason>Macbeth doth come.</reason></destroy></query></iq>
hatter receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hatter@wonderland.lit/tea'/>
    <destroy jid='den@rooms.wonderland.lit'><reason>Macbeth doth come.</reason></destroy><status code='110'/></x></presence>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Alice'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='alice@wonderland.lit/rabbit'/>
    <destroy jid='den@rooms.wonderland.lit'><reason>Macbeth doth come.</reason></destroy><status code='110'/></x></presence>
  <iq type='result' id='x2' from='rabbithole@rooms.wonderland.lit'/>
