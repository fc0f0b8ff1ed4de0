# XEP-0289 5.5: a change of affiliation is shown everywhere; an owner over there has no power here
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit
room rabbithole@rooms.wonderland.lit anonymity=NonAnonymous owner=alice@wonderland.lit
room elsinore@talk.denmark.lit anonymity=NonAnonymous uplink=rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <iq type='set' id='a1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='member' jid='hatter@wonderland.lit'/></query></iq>
alice receives
  <iq type='result' id='a1' from='rabbithole@rooms.wonderland.lit'/>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='member' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item></x></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='member' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item>
    <status code='110'/></x></presence>
wonderland sends denmark
  <presence from='rabbithole@rooms.wonderland.lit/Hatter' to='elsinore@talk.denmark.lit/Hatter'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hatter@wonderland.lit/tea'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='member' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item></x></presence>
hamlet receives
  <presence from='elsinore@talk.denmark.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='member' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item></x></presence>

alice sends
  <iq type='set' id='a2' to='elsinore@talk.denmark.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='outcast' jid='hamlet@denmark.lit'/></query></iq>
alice receives
  <iq type='error' id='a2' from='elsinore@talk.denmark.lit'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
hamlet receives nothing
