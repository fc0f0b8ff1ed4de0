# XEP-0045 8.3, 8.4: a moderator grants voice and takes it again; not from an owner
level core node real
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit moderated owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <iq type='set' id='v1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Hatter' role='participant'/></query></iq>
alice receives
  <iq type='result' id='v1' from='rabbithole@rooms.wonderland.lit'/>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item></x></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item>
    <status code='110'/></x></presence>

alice sends
  <iq type='set' id='v2' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Hatter' role='visitor'><reason>enough</reason></item></query></iq>
alice receives
  <iq type='result' id='v2' from='rabbithole@rooms.wonderland.lit'/>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='visitor' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/>
    <reason>enough</reason></item></x></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='visitor' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/>
    <reason>enough</reason></item><status code='110'/></x></presence>

alice sends
  <iq type='set' id='v3' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Alice' role='visitor'/></query></iq>
alice receives
  <iq type='error' id='v3' from='rabbithole@rooms.wonderland.lit'><error type='cancel'>
    <not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
