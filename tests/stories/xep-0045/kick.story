# XEP-0045 8.2: a kick: the kicked one first (110, 307), then the answer, then the others (307)
level core node real
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user dormouse dormouse@wonderland.lit/teapot

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
dormouse joins rabbithole@rooms.wonderland.lit as Dormouse
alice sends
  <iq type='set' id='k1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Hatter' role='none'><reason>Mad</reason></item></query></iq>
hatter receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hatter@wonderland.lit/tea'>
    <actor nick='Alice'/><reason>Mad</reason></item><status code='110'/><status code='307'/></x></presence>
alice receives
  <iq type='result' id='k1' from='rabbithole@rooms.wonderland.lit'/>
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hatter@wonderland.lit/tea'>
    <actor nick='Alice'/><reason>Mad</reason></item><status code='307'/></x></presence>
dormouse receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'><actor nick='Alice'/>
    <reason>Mad</reason></item><status code='307'/></x></presence>

hatter sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>?</body></message>
hatter receives
  <message type='error' from='rabbithole@rooms.wonderland.lit' id='m1'><error type='modify'>
    <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
