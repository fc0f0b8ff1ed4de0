# XEP-0289 7: an fmuc element from a client means nothing: it is stripped
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit      uplink elsinore -> rabbithole@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>I am Hamlet</body>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hamlet@denmark.lit/castle'/></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'><body>I am Hamlet</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
wonderland sends denmark
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' to='elsinore@talk.denmark.lit' id='m1'>
    <body>I am Hamlet</body><fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Alice' id='m1'><body>I am Hamlet</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>

alice sends
  <presence to='rabbithole@rooms.wonderland.lit/Alice'><show>away</show><fmuc xmlns='http://isode.com/protocol/fmuc'>
    <left/></fmuc></presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><show>away</show><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='alice@wonderland.lit/rabbit'/><status code='110'/></x></presence>
wonderland sends denmark
  <presence from='rabbithole@rooms.wonderland.lit/Alice' to='elsinore@talk.denmark.lit/Alice'><show>away</show>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/></presence>
hamlet receives
  <presence from='elsinore@talk.denmark.lit/Alice'><show>away</show><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
