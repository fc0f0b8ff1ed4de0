# XEP-0045 9.1: a ban removes the user (301), who cannot come back; taken back, he can (9.2)
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
  <iq type='set' id='b1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='outcast' jid='hatter@wonderland.lit'><reason>Treason</reason></item></query></iq>
hatter receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='outcast' role='none' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/>
    <reason>Treason</reason></item><status code='110'/><status code='301'/></x></presence>
alice receives
  <iq type='result' id='b1' from='rabbithole@rooms.wonderland.lit'/>
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='outcast' role='none' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/>
    <reason>Treason</reason></item><status code='301'/></x></presence>
dormouse receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='outcast' role='none'><actor nick='Alice'/>
    <reason>Treason</reason></item><status code='301'/></x></presence>

hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter' id='j1'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hatter receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit/Hatter' id='j1'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>

alice sends
  <iq type='get' id='b2' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='outcast'/></query></iq>
alice receives
  <iq type='result' id='b2' from='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='outcast' jid='hatter@wonderland.lit'><reason>Treason</reason></item></query></iq>

alice sends
  <iq type='set' id='b3' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='none' jid='hatter@wonderland.lit'/></query></iq>
alice receives
  <iq type='result' id='b3' from='rabbithole@rooms.wonderland.lit'/>

hatter joins rabbithole@rooms.wonderland.lit as Hatter
