# XEP-0045 9.6, 9.7: an owner makes a moderator, who sees real JIDs from then on, and takes it back; not from an admin
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user dormouse dormouse@wonderland.lit/teapot

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <iq type='set' id='r1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Hatter' role='moderator'/></query></iq>
alice receives
  <iq type='result' id='r1' from='rabbithole@rooms.wonderland.lit'/>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='moderator' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item></x></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='moderator' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item>
    <status code='110'/></x></presence>

dormouse sends
  <presence to='rabbithole@rooms.wonderland.lit/Dormouse'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Dormouse'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='dormouse@wonderland.lit/teapot'/></x></presence>
swallow

hatter sends
  <iq type='set' id='r2' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Dormouse' role='moderator'/></query></iq>
hatter receives
  <iq type='error' id='r2' from='rabbithole@rooms.wonderland.lit'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

alice sends
  <iq type='set' id='r3' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Hatter' role='participant'/></query></iq>
alice receives
  <iq type='result' id='r3' from='rabbithole@rooms.wonderland.lit'/>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item></x></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item>
    <status code='110'/></x></presence>
dormouse receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'><actor nick='Alice'/></item></x></presence>

alice sends
  <iq type='set' id='r4' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Alice' role='participant'/></query></iq>
alice receives
  <iq type='error' id='r4' from='rabbithole@rooms.wonderland.lit'><error type='cancel'>
    <not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
